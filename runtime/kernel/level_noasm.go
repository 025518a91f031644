//go:build !amd64 || purego

package kernel

import (
	"fmt"
	"os"

	"github.com/gradsmith/gradsmith/runtime/kernel/internal/hook"
)

const level = generic

func init() {
	hook.SetLevel = func(name string) bool { return name == levelNames[generic] }
	if _, fault := chooseLevel(generic, os.Getenv("GRADSMITH_CPU")); fault != "" {
		fmt.Fprintln(os.Stderr, fault)
		os.Exit(1)
	}
}
