//! What differs between machines, beside what every service reads.

use kit::database::Variables;
use kit::settings::{Bounded, Seconds, Setting};

/// Money per hour of something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

impl Setting for Rate {
    fn form() -> String {
        "an amount from 0 to 1000000, such as 0.04".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let rate: f64 = text.parse().ok()?;
        (is_plain && rate <= 1_000_000.0).then_some(Self(rate))
    }
}

kit::settings! {
    /// What resource use costs.
    pub struct Rates {
        /// One core for an hour
        pub core_hour: Rate = "ANALYTICS_CORE_HOUR_COST" or "0.04",
        /// One GiB of memory for an hour
        pub gib_hour: Rate = "ANALYTICS_GIB_HOUR_COST" or "0.005",
        /// The currency of these, for whoever reads
        pub currency: String = "ANALYTICS_CURRENCY" or "USD",
    }
}

kit::settings! {
    /// What the service reads beside what every service does.
    pub struct Settings {
        /// The database
        pub database: Variables = group,
        /// What resource use costs
        pub rates: Rates = group,
        /// Days for which metrics and events are kept one by one; older ones are refused
        pub raw_days: Bounded<2, 366> = "ANALYTICS_RAW_DAYS" or "8",
        /// Days for which they are kept by minute, and not less than one by one
        pub minute_days: Bounded<2, 1000> = "ANALYTICS_MINUTE_DAYS" or "32",
        /// Days for which they are kept by hour, and not less than by minute
        pub hour_days: Bounded<2, 10000> = "ANALYTICS_HOUR_DAYS" or "400",
        /// Seconds between two roll-ups
        pub rollup_interval: Seconds = "ANALYTICS_ROLLUP_INTERVAL" or "5",
        /// The role that a user needs to look at all this
        pub reader_role: String = "ANALYTICS_READER_ROLE" or "admin",
    }
}

/// For how many days rows are kept, and roll-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub rows: u32,
    pub minutes: u32,
    pub hours: u32,
}

impl Settings {
    /// Minutes are kept as long as the rows that they are written from: an hour
    /// is put together from them again when a row comes late.
    pub fn retention(&self) -> Retention {
        let rows = self.raw_days.get();
        let minutes = self.minute_days.get().max(rows);
        Retention {
            rows,
            minutes,
            hours: self.hour_days.get().max(minutes),
        }
    }
}
