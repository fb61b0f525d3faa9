//! Two lists of steps, held against each other.

/// How steps differ, in words, a line each: those at both ends that are the same are none.
pub fn step_changes(was: &[String], is: &[String]) -> Vec<String> {
    let pairs = was.iter().zip(is);
    let same = pairs.take_while(|(was, is)| was == is).count();
    let (was, is) = (&was[same..], &is[same..]);
    let pairs = was.iter().rev().zip(is.iter().rev());
    let end = pairs.take_while(|(was, is)| was == is).count();
    let (was, is) = (&was[..was.len() - end], &is[..is.len() - end]);
    let longest = was.len().max(is.len());
    let change = |at: usize| {
        let number = same + at + 1;
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
