//! Where the forward pass is cut, such that what is kept takes little memory.

use crate::graph::Value;

/// What a node of the forward pass computes, and from which node on to which it is there.
pub(super) struct Span {
    pub value: Value,
    pub bytes: u64,
    /// The node that computes it.
    pub from: usize,
    /// The last node of the forward pass that reads it.
    pub to: usize,
    /// The backward pass reads it.
    pub is_read: bool,
}

/// The nodes that segments begin with; the first is 0.
pub(super) struct Segments {
    begins: Vec<usize>,
}

/// Sizes of a segment that are tried: each this much larger than the one before, in per cent.
const STEP: u64 = 115;

impl Segments {
    /// The segments of `nodes` nodes whose memory is least: that of all that crosses a cut, and of the largest
    /// segment. None, if it is least without a cut.
    pub(super) fn choose(spans: &[Span], nodes: usize) -> Option<Segments> {
        let costs = Costs::of(spans, nodes);
        let whole = costs.inside(0, nodes);
        let mut best = (whole, None);
        let mut most = whole / 64 + 1;
        while most < whole {
            if let Some((crossing, segments)) = costs.within(most, nodes) {
                let largest = segments.spans(nodes).map(|(from, to)| costs.inside(from, to)).max().unwrap_or(0);
                if crossing + largest < best.0 {
                    best = (crossing + largest, Some(segments));
                }
            }
            most = most * STEP / 100 + 1;
        }
        best.1
    }

    /// First node and end of each segment.
    fn spans(&self, nodes: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let ends = self.begins[1..].iter().copied().chain([nodes]);
        self.begins.iter().copied().zip(ends)
    }

    /// Whether a tensor is there for the backward pass without being computed again: it crosses a cut, or is of the last
    /// segment, whose backward pass comes at once.
    pub(super) fn keeps(&self, span: &Span) -> bool {
        let last = self.begins.last().copied().unwrap_or(0);
        span.from >= last || self.begins.iter().any(|&cut| span.from < cut && cut <= span.to)
    }
}

/// What cuts and segments cost, in bytes.
struct Costs {
    /// What crosses a cut before each node.
    crossing: Vec<u64>,
    /// What the backward pass reads of all nodes before each.
    before: Vec<u64>,
}

impl Costs {
    fn of(spans: &[Span], nodes: usize) -> Costs {
        let (mut crossing, mut before) = (vec![0; nodes + 1], vec![0; nodes + 1]);
        for span in spans {
            crossing[span.from + 1..=span.to].iter_mut().for_each(|bytes| *bytes += span.bytes);
            before[span.from + 1] += if span.is_read { span.bytes } else { 0 };
        }
        for node in 0..nodes {
            before[node + 1] += before[node];
        }
        Costs { crossing, before }
    }

    /// What the backward pass reads of a segment.
    fn inside(&self, from: usize, to: usize) -> u64 {
        self.before[to] - self.before[from]
    }

    /// The segments of at most `most` bytes each, such that the least crosses all cuts, and how much.
    fn within(&self, most: u64, nodes: usize) -> Option<(u64, Segments)> {
        // For each end: what crosses the cuts up to it, itself included, and where its segment begins.
        let mut reached: Vec<Option<(u64, usize)>> = vec![None; nodes + 1];
        reached[0] = Some((0, 0));
        for end in 1..=nodes {
            let begins = (0..end).rev().take_while(|&begin| self.inside(begin, end) <= most);
            let least = begins.filter_map(|begin| Some((reached[begin]?.0, begin))).min();
            let own = if end == nodes { 0 } else { self.crossing[end] };
            reached[end] = least.map(|(crossing, begin)| (crossing + own, begin));
        }
        let (crossing, mut begin) = reached[nodes]?;
        let mut begins = vec![begin];
        while begin > 0 {
            begin = reached[begin]?.1;
            begins.push(begin);
        }
        begins.reverse();
        Some((crossing, Segments { begins }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of tensors of so many bytes, each read by the next node.
    fn chain(bytes: &[u64]) -> Vec<Span> {
        let span = |(from, &bytes)| Span { value: Value(from as u32), bytes, from, to: from + 1, is_read: true };
        bytes.iter().enumerate().map(span).collect()
    }

    #[test]
    fn an_even_chain_is_cut_about_as_often_as_the_root_of_its_length() {
        let spans = chain(&[1000; 64]);
        let segments = Segments::choose(&spans, 65).unwrap();
        assert!((5..=11).contains(&segments.begins.len()), "{:?}", segments.begins);
    }

    #[test]
    fn cuts_are_where_little_crosses() {
        let spans = chain(&[900, 900, 10, 900, 900, 10, 900, 900, 10, 900, 900]);
        let segments = Segments::choose(&spans, 12).unwrap();
        assert!(segments.begins[1..].iter().all(|cut| [3, 6, 9].contains(cut)), "{:?}", segments.begins);
        assert!(segments.keeps(&spans[2]) && !segments.keeps(&spans[0]) && segments.keeps(&spans[10]));
    }

    #[test]
    fn what_no_cut_makes_smaller_is_not_cut() {
        assert!(Segments::choose(&chain(&[10, 10]), 3).is_none());
        assert!(Segments::choose(&[], 0).is_none());
    }
}
