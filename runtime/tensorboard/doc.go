// Package tensorboard writes event files, which TensorBoard shows: numbers, texts and pictures under a name and a step
// each.
//
// An event file is records one behind the other, as TensorFlow's class TFRecordWriter writes them, each an event in
// protobuf's binary form. A record is its length as 8 bytes, a checksum of these, the event, and a checksum of that;
// numbers are little-endian. The few messages that are needed are written here by hand: package protobuf and the
// generated messages would be the largest part of a small program.
//
// It must not know what is written, or when.
package tensorboard
