//! Why an extraction waits, has stopped, or was refused something.

use conductor::status::ExtractionStatus;

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) class: &'static str,
    pub(crate) what: &'static str,
    pub(crate) text: String,
}

/// All of them.
pub(crate) fn reasons(one: &ExtractionStatus) -> Vec<Reason> {
    let reason = |class, what| {
        move |text: &String| Reason {
            class,
            what,
            text: text.clone(),
        }
    };
    let rollout = one.rollout.iter();
    let stopped = rollout.clone().flat_map(|it| &it.why);
    let refused = rollout.clone().flat_map(|it| &it.refused);
    let waits = rollout.flat_map(|it| &it.waits_for);
    let trouble = one.trouble.iter().map(reason("fail", "Trouble."));
    trouble
        .chain(stopped.map(reason("wait", "It has stopped.")))
        .chain(refused.map(reason("fail", "Refused, and asked for again.")))
        .chain(waits.map(reason("wait", "It waits.")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::status::RolloutStatus;

    #[test]
    fn each_wait_and_refusal_has_its_reason() {
        let mut one = ExtractionStatus::default();
        assert_eq!(reasons(&one), []);
        one.rollout = Some(RolloutStatus {
            refused: Some("the service is not healthy".to_owned()),
            waits_for: vec!["gate `p99`".to_owned(), "the step's time".to_owned()],
            ..RolloutStatus::default()
        });
        let found = reasons(&one);
        let texts: Vec<_> = found.iter().map(|one| one.text.as_str()).collect();
        let wanted = [
            "the service is not healthy",
            "gate `p99`",
            "the step's time",
        ];
        assert_eq!(texts, wanted);
        assert_eq!(found[1].what, "It waits.");
    }
}
