package logic

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// with joins two demands on one value and says whether a value is left.
func (d demand) with(other demand) (joined demand, possible bool) {
	joined = d
	switch {
	case d.some == nil:
		joined.some = other.some
	case other.some != nil:
		joined.some = slices.DeleteFunc(slices.Clone(d.some), func(v any) bool { return !slices.Contains(other.some, v) })
	}
	joined.not = append(slices.Clone(d.not), other.not...)
	joined.least, joined.most = max(d.least, other.least), min(d.most, other.most)
	if joined.some == nil {
		return joined, joined.least <= joined.most
	}
	fits := func(v any) bool {
		number, isNumber := v.(float64)
		return !slices.Contains(joined.not, v) && (!isNumber || joined.least <= number && number <= joined.most)
	}
	return joined, slices.ContainsFunc(joined.some, fits)
}

// exclude returns the first demand that cannot hold together with those before
// it, or with what is known.
func exclude(demands, known []demand) (demand, bool) {
	sums := make(map[string]demand)
	for _, d := range slices.Concat(known, demands) {
		sum, ok := sums[d.path]
		if !ok {
			sums[d.path] = d
			continue
		}
		joined, possible := sum.with(d)
		if !possible {
			return d, true
		}
		sums[d.path] = joined
	}
	return demand{}, false
}

// impossible says whether a condition never holds while what is known does, and
// which part of it shows that.
func impossible(n ast.Node, known []demand) (demand, bool) {
	return read(condition{n, false}).impossible(known)
}

// condition is a tree, or what denies it.
type condition struct {
	tree   ast.Node
	denied bool
}

// parts splits a condition into two that both must hold, or, as a choice, one of them.
func (c condition) parts() (left, right condition, both, choice bool) {
	_, and := joined(c.tree, "&&", "and")
	_, or := joined(c.tree, "||", "or")
	if b, ok := c.tree.(*ast.BinaryNode); ok && (and || or) {
		return condition{b.Left, c.denied}, condition{b.Right, c.denied}, and != c.denied, or != c.denied
	}
	return condition{}, condition{}, false, false
}

// reading is a condition that has been read: what all must hold, and of what one of two.
type reading struct {
	demands []demand
	choices [][2]reading
}

func read(c condition) (r reading) {
	var split func(c condition)
	split = func(c condition) {
		if not, ok := c.tree.(*ast.UnaryNode); ok && (not.Operator == "!" || not.Operator == "not") {
			split(condition{not.Node, !c.denied})
			return
		}
		left, right, both, choice := c.parts()
		switch {
		case both:
			split(left)
			split(right)
		case choice:
			r.choices = append(r.choices, [2]reading{read(left), read(right)})
		default:
			if d, ok := demandOf(c.tree, c.denied); ok {
				r.demands = append(r.demands, d)
			}
		}
	}
	split(c)
	return r
}

// impossible is the function of that name for what has been read.
func (r reading) impossible(known []demand) (demand, bool) {
	if d, found := exclude(r.demands, known); found {
		return d, true
	}
	if len(r.choices) > 0 {
		known = slices.Concat(known, r.demands)
	}
	for _, choice := range r.choices {
		left, not := choice[0].impossible(known)
		if _, neither := choice[1].impossible(known); not && neither {
			return left, true
		}
	}
	return demand{}, false
}
