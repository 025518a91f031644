// Package cputime tells for how long a program has computed, whatever else the machine does.
package cputime
