//! What is said, and what is written for people.
