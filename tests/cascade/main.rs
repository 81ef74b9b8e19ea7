//! Tests of the cascade.

mod model;
