//! Golden and whole-program tests.
