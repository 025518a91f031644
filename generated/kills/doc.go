// Package kills has tests alone, which kill trainings at random moments, fill their disks, and go on with them: what
// they leave in the end is what a training leaves that nothing has happened to. They need the signals of Unix.
package kills
