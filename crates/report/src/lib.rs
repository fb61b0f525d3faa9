//! What a migration did and where it stands, as a page to read, to print and to keep:
//! made of the journal and the status alone, so that whoever has both can make it again.
//!
//! ```text
//!  markdown   html          the pages
//!      │        │
//!      │      chart         the whole migration on one axis
//!      └───┬────┘
//!       report              all of it, also as JSON
//!          │
//!  figures   chapter        the whole in four figures; one extraction
//!                │
//!             moment        something that happened, in a sentence; `stop` beside it tells
//!                │          why steps have stopped
//!                │
//!              clock        times for people
//! ```
//!
//! A module may use those below it. Pure: when it is made is said by the caller.

mod chapter;
mod chart;
pub mod clock;
mod figures;
pub mod html;
pub mod markdown;
mod moment;
mod report;
mod stop;

pub use chapter::{Approval, Chapter, Handover, ShareChange, StepRecord, Verify};
pub use figures::Figures;
pub use moment::{Kind, Moment, MomentReader};
pub use report::Report;
pub use stop::Stop;
