//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// passed are the signals that a program gets which gradsmith runs.
var passed = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// detach keeps signals of the terminal from a program, which gets them passed: a second one would end it at once.
func detach(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
