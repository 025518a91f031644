//go:build !amd64 || purego

package kernel

import (
	"os"

	"github.com/gradsmith/gradsmith/runtime/internal/hook"
)

const level = generic

func init() {
	hook.SetLevel = func(name string) bool { return name == levelNames[generic] }
	_, environment = chooseLevel(generic, os.Getenv("GRADSMITH_CPU"))
}
