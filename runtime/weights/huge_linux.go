package weights

import "syscall"

// askHuge asks the system to back x by huge pages. A system that has none ignores it.
func askHuge(x []byte) {
	const hugePages = 14 // MADV_HUGEPAGE
	_ = syscall.Madvise(x, hugePages)
}
