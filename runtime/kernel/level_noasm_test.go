//go:build !amd64 || purego

package kernel

import "testing"

func levels() []int { return []int{generic} }

func setLevel(testing.TB, int) {}

func weightLevels() []int { return levels() }

func setWeightLevel(t testing.TB, l int) { setLevel(t, l) }

func weightLevelName(l int) string { return levelNames[l] }
