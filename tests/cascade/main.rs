//! Tests of the cascade.

mod attack;
mod model;
