module github.com/gradsmith/gradsmith/bench

go 1.26

require (
	github.com/gradsmith/gradsmith v0.0.0
	gonum.org/v1/gonum v0.17.0
)

require golang.org/x/sys v0.46.0

require github.com/klauspost/cpuid/v2 v2.4.2 // indirect

replace github.com/gradsmith/gradsmith => ../
