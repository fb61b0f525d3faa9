//! Gates on arrays that others judge wrongly, on what services do, and on drawn
//! traffic.

mod arrays;
#[expect(dead_code, reason = "the bench uses the rest")]
#[path = "../../benches/steps/draw.rs"]
mod draw;
mod draws;
mod extremes;
mod gates;
mod traffic;
