//! Two lists of steps, held against each other.

use super::steps::Step;
use std::collections::BTreeMap;

/// How steps differ, in words, a line each: those at both ends that are the same are none.
pub fn step_changes(was: &[String], is: &[String]) -> Vec<String> {
    let (start, end) = same_ends(was, is);
    let was = &was[start..was.len() - end];
    let is = &is[start..is.len() - end];
    let longest = was.len().max(is.len());
    let change = |at: usize| {
        let number = start + at + 1;
        match (was.get(at), is.get(at)) {
            (Some(was), Some(is)) if was == is => None,
            (Some(was), Some(is)) => Some(format!("step {number}: `{was}` is `{is}` now")),
            (None, Some(is)) => Some(format!("step {number} is new: `{is}`")),
            (Some(was), None) => Some(format!("step {number} is gone: `{was}`")),
            (None, None) => None,
        }
    };
    (0..longest).filter_map(change).collect()
}

/// What the steps at both ends that do the same say otherwise, in words: once, with the
/// numbers that they have now.
pub(crate) fn setting_changes(was: &[Step], is: &[Step]) -> Vec<String> {
    let words = |steps: &[Step]| steps.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (start, end) = same_ends(&words(was), &words(is));
    let ends = |steps: &[Step]| [0..start, steps.len() - end..steps.len()];
    let pairs = ends(was)
        .into_iter()
        .flatten()
        .zip(ends(is).into_iter().flatten());
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (before, at) in pairs {
        for difference in was[before].differences(&is[at]) {
            let numbers = found.entry(difference.to_string()).or_default();
            numbers.push((at + 1).to_string());
        }
    }
    let told = found.into_iter().map(|(what, numbers)| match &*numbers {
        [one] => format!("step {one}: {what}"),
        all => format!("steps {}: {what}", all.join(", ")),
    });
    told.collect()
}

/// How many are the same at the beginning, and how many of the others at the end.
fn same_ends(was: &[String], is: &[String]) -> (usize, usize) {
    let same = |pair: &(&String, &String)| pair.0 == pair.1;
    let start = was.iter().zip(is).take_while(same).count();
    let rest = was[start..].iter().rev().zip(is[start..].iter().rev());
    (start, rest.take_while(same).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(was: &[&str], is: &[&str]) -> Vec<String> {
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        step_changes(&owned(was), &owned(is))
    }

    #[test]
    fn only_what_differs_is_told() {
        let was = ["reads 5%", "reads 50%", "switch"];
        assert!(changes(&was, &was).is_empty());
        assert_eq!(
            changes(&was, &["reads 5%", "reads 40%", "switch"]),
            ["step 2: `reads 50%` is `reads 40%` now"]
        );
        assert_eq!(
            changes(&was, &["reads 5%", "reads 50%", "reads 100%", "switch"]),
            ["step 3 is new: `reads 100%`"]
        );
        assert_eq!(
            changes(&was, &["reads 5%", "switch"]),
            ["step 2 is gone: `reads 50%`"]
        );
        assert_eq!(
            changes(&was, &["switch", "watch"]),
            [
                "step 1: `reads 5%` is `switch` now",
                "step 2: `reads 50%` is `watch` now",
                "step 3 is gone: `switch`"
            ]
        );
        assert_eq!(changes(&[], &["switch"]), ["step 1 is new: `switch`"]);
        assert_eq!(changes(&["a", "a"], &["a"]), ["step 2 is gone: `a`"]);
    }
}
