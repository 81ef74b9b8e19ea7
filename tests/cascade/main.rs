//! Tests of the cascade.

mod model;
mod round_trips;
