package app

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/serve"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// Trained tells what a checkpoint says of the training that it is of, and the losses of its log, where that is still
// there; nil where the checkpoint has parameters alone. Of the files that the training read it tells the last part of
// the names: whoever asks a server need not know where they are.
func Trained(path string) *serve.Trained {
	c, err := checkpoint.Describe(path)
	if err != nil || c.Training == nil {
		return nil
	}
	t := &serve.Trained{Steps: c.Training.Step, Seed: c.Training.Seed, Options: map[string]string{}}
	if best, err := strconv.ParseFloat(c.Training.Loop["best"], 64); err == nil && !math.IsInf(best, 0) &&
		!math.IsNaN(best) {
		t.Best = &best
	}
	kept := train.Kept(c.Training)
	for name, value := range kept {
		t.Options[name] = lastParts(value)
	}
	for _, log := range []string{kept["log"], filepath.Join(filepath.Dir(path), filepath.Base(kept["log"]))} {
		if kept["log"] != "" && t.Losses == nil && t.Validations == nil {
			t.Losses, t.Validations = lossesOf(log)
		}
	}
	return t
}

// lastParts are the last parts of the names of files that the value of an option may have: of one, or of several in
// JSON.
func lastParts(value string) string {
	var all []string
	if json.Unmarshal([]byte(value), &all) != nil {
		all = []string{value}
	}
	for i, p := range all {
		if strings.ContainsRune(p, filepath.Separator) {
			all[i] = filepath.Base(p)
		}
	}
	return strings.Join(all, ", ")
}

// lossesOf reads a training's log; none where it cannot be read.
func lossesOf(path string) (losses, validations [][2]float64) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	var step, valid thinned
	err = train.ReadLog(f,
		func(n int, loss float64) { step.add(float64(n), loss) },
		func(n int, loss float64) { valid.add(float64(n), loss) })
	if err != nil {
		return nil, nil
	}
	return step.points(), valid.points()
}

// points are those of a curve, as pairs, not more than some hundred of them.
func (t *thinned) points() [][2]float64 {
	const most = 256
	var all [][2]float64
	each := (len(t.x) + most - 1) / most
	for from := 0; from < len(t.x); from += each {
		to := min(from+each, len(t.x))
		all = append(all, [2]float64{t.x[to-1], mean(t.y[from:to])})
	}
	return slices.Clip(all)
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
