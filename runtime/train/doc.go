// Package train runs a training: the loop over the windows of a corpus, the schedule, validation, checkpoints, a log,
// and a resumption that gives the same bits as a training that never stopped.
//
// It must not know how a model computes, nor what a terminal is: progress goes to a [Reporter].
package train
