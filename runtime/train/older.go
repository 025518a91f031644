package train

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
)

// older says what becomes of the checkpoints that were written before.
type older struct {
	most int  // that stay, besides the newest; below 0 leaves all alone
	step int  // of the one that is about to be replaced, where it is to stay; 0 for none
	anew bool // those that there are, are of another training
}

const suffix = ".safetensors"

// Numbered is where the checkpoint of a step stands when there is a newer one: poet.step-00001500.safetensors beside
// poet.safetensors.
func Numbered(path string, step int) string {
	stem, found := strings.CutSuffix(path, suffix)
	name := fmt.Sprintf("%s.step-%08d", stem, step)
	if found {
		name += suffix
	}
	return name
}

// Older lists the checkpoints that stand beside the one at path under [Numbered], the newest first.
func Older(path string) []string {
	var names []string
	for _, o := range olderOf(path) {
		names = append(names, o.name)
	}
	return names
}

type numbered struct {
	name string
	step int
}

func olderOf(path string) (all []numbered) {
	entries, err := files.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil // whoever writes there will say so
	}
	stem, found := strings.CutSuffix(filepath.Base(path), suffix)
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), stem+".step-")
		if found && ok {
			digits, ok = strings.CutSuffix(digits, suffix)
		}
		step, err := strconv.Atoi(digits)
		name := filepath.Join(filepath.Dir(path), e.Name())
		if ok && err == nil && filepath.Base(Numbered(path, step)) == e.Name() && files.Own(name) == "checkpoint" {
			all = append(all, numbered{name, step})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(b.step, a.step) })
	return all
}

// keep gives the checkpoint that is about to be replaced the name of its step.
func (o older) keep(path string) error {
	if o.most < 1 || o.step == 0 {
		return nil
	}
	if err := files.Keep(path, Numbered(path, o.step)); err != nil {
		return fmt.Errorf("can't keep the checkpoint of step %d: %w", o.step, files.Cause(err))
	}
	return nil
}

// prune removes the checkpoints that are too many, and those of steps that the training has not come to: it has gone
// back, or begun anew. now is the step of the newest one.
func (o older) prune(path string, now int) error {
	if o.most < 0 {
		return nil
	}
	var errs []error
	kept := 0
	for _, x := range olderOf(path) {
		if !o.anew && x.step < now && kept < o.most {
			kept++
			continue
		}
		if err := files.Remove(x.name); err != nil {
			errs = append(errs, fmt.Errorf("can't remove the older checkpoint %s: %w", x.name, files.Cause(err)))
		}
	}
	return errors.Join(errs...)
}

// Newest gives the checkpoint that a training with the one at path goes on from: that, or, where it is damaged or gone,
// the newest older one that is whole. damage is then what is wrong with it. Where there are no older ones that is for
// [Run] to say.
func Newest(path string) (source string, damage error) {
	all := Older(path)
	if len(all) == 0 {
		return path, nil
	}
	_, err := checkpoint.Verify(path)
	if err == nil {
		return path, nil
	}
	for _, name := range all {
		if _, bad := checkpoint.Verify(name); bad == nil {
			return name, err
		}
	}
	return path, nil
}

// replaceDamaged puts a copy of an older checkpoint in the place of one that is damaged, which stays beside it.
func replaceDamaged(path, source string) error {
	if fileExists(path) {
		if err := files.Keep(path, Beside(path, "damaged")); err != nil {
			return fmt.Errorf("can't keep the damaged checkpoint %s: %w", path, files.Cause(err))
		}
	}
	if err := files.Keep(source, path); err != nil {
		return fmt.Errorf("can't write the checkpoint %s: %w", path, files.Cause(err))
	}
	return nil
}

// Beside is the name of a file that belongs to a checkpoint: of "good" poet.good.safetensors.
func Beside(path, what string) string {
	stem, found := strings.CutSuffix(path, suffix)
	if !found {
		return path + "." + what
	}
	return stem + "." + what + suffix
}

// hold takes the files that a training writes more than once, so that no other one writes them.
func hold(paths ...string) (release func(), err error) {
	var all []*files.Hold
	release = func() {
		for _, h := range all {
			h.Release()
		}
	}
	for _, path := range paths {
		if path == "" {
			continue
		}
		h, err := files.Take(path)
		if err != nil {
			release()
			return nil, cannotHold(path, err)
		}
		all = append(all, h)
	}
	return release, nil
}

func cannotHold(path string, err error) error {
	var in *files.InUse
	if errors.As(err, &in) {
		return fmt.Errorf("can't write the checkpoint %s: %w: wait until it has ended, or name another file", path, in)
	}
	return fmt.Errorf("can't write the checkpoint %s: %w", path, files.Cause(err))
}
