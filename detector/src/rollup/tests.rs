//! Tests of the rollup.
