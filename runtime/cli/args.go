package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Args checks the number of a command's arguments, which names are those of: "SPEC", or "TEXT..." for one or more, or
// "[NAME]" for one that may be left out. Its errors say which one is missing or too many, and show the command's
// example.
func Args(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		least, most := 0, len(names)
		for _, n := range names {
			if !strings.HasPrefix(n, "[") {
				least++
			}
			if strings.HasSuffix(strings.TrimSuffix(n, "]"), "...") {
				most = -1
			}
		}
		how := cmd.UseLine()
		if first, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n"); first != "" {
			how += ", such as `" + first + "`"
		}
		switch {
		case len(args) < least:
			missing := names[len(args)]
			return fmt.Errorf("%s: %s is missing: %s", cmd.Name(), strings.TrimSuffix(missing, "..."), how)
		case most == 0 && len(args) > 0:
			return fmt.Errorf("%s takes flags only, not %q: see %s --help", cmd.Name(), args[0], cmd.CommandPath())
		case most >= 0 && len(args) > most:
			return fmt.Errorf("%s: %q is one argument too many: %s", cmd.Name(), args[most], how)
		}
		return nil
	}
}
