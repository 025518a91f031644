// Package files writes files so that whatever fails, and whenever the process ends, what stood at a path is either
// what it was or what it was to become. [Write] does so for one file, [Begin] for several of a folder. It also knows
// which files this project's programs write, so that they are not read as data ([Own]).
//
// All access goes through an [FS], so that tests can let any call fail ([Use], and the package filestest).
//
// It must not know what is in a file, beyond the heads by which Own knows those of this project.
package files
