package data

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Shares is how much of a mixture each group is to be, of groups of these sizes, when sampled at a temperature: its
// share of the sizes to the power of 1/temperature, so that 1 leaves sizes as they are and a large number makes all
// groups equal (Arivazhagan et al. 2019; multilingual BERT uses 1/0.7). The shares have the sum 1.
func Shares(sizes []int, temperature float64) []float64 {
	shares := make([]float64, len(sizes))
	sum, all := 0.0, 0.0
	for _, n := range sizes {
		all += float64(n)
	}
	for i, n := range sizes {
		if n > 0 {
			shares[i] = math.Pow(float64(n)/all, 1/temperature)
		}
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}

// CheckTemperature is an error for a temperature that [Shares] does not take.
func CheckTemperature(t float64) error {
	if !(t >= 1) || math.IsInf(t, 0) {
		return fmt.Errorf("a temperature of %v: give 1, which leaves sizes as they are, or more", t)
	}
	return nil
}

// Groups is the groups that data comes in, such as languages: the paths themselves or, where there is only one, what
// is in the folder that it names. Their files, one group behind the other, are those of [Files] in the same order.
func Groups(match string, paths ...string) ([]string, error) {
	if len(paths) != 1 {
		return paths, nil
	}
	all, err := Files(match, paths[0])
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(paths[0]); err != nil || !info.IsDir() {
		return paths, nil
	}
	var groups []string
	for _, file := range all {
		group := file
		for filepath.Dir(group) != filepath.Clean(paths[0]) {
			group = filepath.Dir(group)
		}
		if !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	return groups, nil
}
