//! The planner against what people, gates and crashes do to it.

mod chance;
mod harm;
mod passage;
mod people;
mod rehearsals;
mod world;
