//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// passed are the signals that gradsmith leaves to a program which it runs, which the terminal tells of them too.
var passed = []os.Signal{os.Interrupt}

// detach is for systems where signals are passed on.
func detach(*exec.Cmd) {}
