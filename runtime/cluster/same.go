package cluster

import (
	"fmt"
	"strings"
)

// Trait is something that all processes must have in common.
type Trait struct {
	Name  string // such as "--rate", or "the program"
	Value string // which a person can read, or a digest
	// Shown says that the value means something to a person.
	Shown bool
}

// Same reports what the processes do not have in common, and names all those that differ from process 0. All processes
// call it, with the traits in one order, and all get the same error.
func (g *Group) Same(traits []Trait) error {
	if g.Size() == 1 {
		return nil
	}
	all, err := gather(g, traits)
	if err != nil {
		return err
	}
	var faults []string
	for i, t := range all[0] {
		others := map[string][]int{}
		var values []string
		for rank, x := range all {
			value, name := "", ""
			if i < len(x) {
				value, name = x[i].Value, x[i].Name
			}
			if name == t.Name && value == t.Value {
				continue
			}
			if others[value] == nil {
				values = append(values, value)
			}
			others[value] = append(others[value], rank)
		}
		for _, value := range values {
			verb := "has"
			if len(others[value]) > 1 {
				verb = "have"
			}
			if t.Shown {
				faults = append(faults, fmt.Sprintf("%s is %s, in %s %s", t.Name, orNothing(t.Value),
					g.places(others[value]), orNothing(value)))
			} else {
				faults = append(faults, fmt.Sprintf("%s %s another %s", g.places(others[value]), verb, t.Name))
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("the processes must be alike, and are not all like process 0 on %s: %s", g.members[0].Host,
		strings.Join(faults, "; "))
}

// places names processes and their machines.
func (g *Group) places(ranks []int) string {
	hosts := map[string][]int{}
	var order []string
	for _, r := range ranks {
		h := g.members[r].Host
		if hosts[h] == nil {
			order = append(order, h)
		}
		hosts[h] = append(hosts[h], r)
	}
	var all []string
	for _, h := range order {
		s := ""
		if len(hosts[h]) > 1 {
			s = "es"
		}
		all = append(all, fmt.Sprintf("process%s %s on %s", s, list(hosts[h]), h))
	}
	return strings.Join(all, ", ")
}

func orNothing(s string) string {
	if s == "" {
		return "empty"
	}
	return s
}
