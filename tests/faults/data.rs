//! Images and classes: what is read, what is left out, and what is told of it.
