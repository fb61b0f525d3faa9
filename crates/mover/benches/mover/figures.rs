//! What was measured, for people and for programs.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// By what was measured and by whom it was done; of several rounds.
pub(crate) struct Figures {
    tells: bool,
    measured: BTreeMap<&'static str, BTreeMap<&'static str, Vec<f64>>>,
}

impl Figures {
    /// `tells`: each figure as it comes, for people.
    pub(crate) fn new(tells: bool) -> Self {
        Self {
            tells,
            measured: BTreeMap::new(),
        }
    }

    /// A figure of one round.
    pub(crate) fn add(&mut self, what: &'static str, by: &'static str, value: f64) {
        self.tell(&format!("{what:<32} {by:<14} {value:>12.2}"));
        let by_whom = self.measured.entry(what).or_default();
        by_whom.entry(by).or_default().push(value);
    }

    /// A line that only people read.
    pub(crate) fn tell(&self, line: &str) {
        if self.tells {
            println!("{line}");
        }
    }

    /// The medians, in one line, last.
    pub(crate) fn print(&self) {
        let mut all = Map::new();
        for (what, by_whom) in &self.measured {
            let medians: Map<String, Value> = by_whom
                .iter()
                .map(|(by, values)| ((*by).to_owned(), json!(rounded(median(values)))))
                .collect();
            all.insert((*what).to_owned(), medians.into());
        }
        println!("{}", Value::Object(all));
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The middle one, or the mean of the middle two.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}
