//! NaN, infinities and numbers at the edge.
