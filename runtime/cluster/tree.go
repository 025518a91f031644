package cluster

// The gradients of a batch's shards are added up in a fixed binary tree, a node of which has the halves of its shards
// below it, the first half the larger one. Each process has an interval of the shards, and computes the nodes that have
// no others below them. What is above is added by whoever has the parts, in the order of the tree: so the sum does not
// depend on the number of processes.

// Node is a node of the tree: the shards From up to To, Depth levels below the root.
type Node struct{ From, To, Depth int }

// Half is where the second half of the shards from up to to begins.
func Half(from, to int) int { return from + (to-from+1)/2 }

// Interval is the shards that one of size processes has, of n.
func Interval(n, rank, size int) (from, to int) { return rank * n / size, (rank + 1) * n / size }

// Nodes lists the largest nodes of the tree over n shards that have only shards of one process below them, from the
// first to the last.
func Nodes(n, rank, size int) []Node {
	from, to := Interval(n, rank, size)
	var all []Node
	var visit func(x Node)
	visit = func(x Node) {
		switch {
		case x.To <= from || x.From >= to:
		case x.From >= from && x.To <= to:
			all = append(all, x)
		default:
			half := Half(x.From, x.To)
			visit(Node{x.From, half, x.Depth + 1})
			visit(Node{half, x.To, x.Depth + 1})
		}
	}
	visit(Node{0, n, 0})
	return all
}

// sum is a sum of two nodes: that at to becomes to + from.
type sum struct{ to, from int }

// sums are those of the tree over n shards above the nodes of all processes, in their order: nodes are counted over all
// processes, and node 0 becomes the root.
func sums(n, size int) []sum {
	number := map[Node]int{}
	for rank := range size {
		for _, x := range Nodes(n, rank, size) {
			number[x] = len(number)
		}
	}
	var all []sum
	var visit func(x Node) int
	visit = func(x Node) int {
		if k, ok := number[x]; ok {
			return k
		}
		half := Half(x.From, x.To)
		first := visit(Node{x.From, half, x.Depth + 1})
		second := visit(Node{half, x.To, x.Depth + 1})
		all = append(all, sum{first, second})
		return first
	}
	visit(Node{0, n, 0})
	return all
}
