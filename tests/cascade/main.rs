//! Tests of the cascade.

mod attack;
mod model;
mod round_trips;
