//! What is not well, and what only waits for somebody: what `banyan status --check` goes by.

use super::{ExtractionStatus, RefusalStatus, RolloutStatus, Status};

/// For so long a statement that a fence refused is an ill: whoever looks once an hour sees
/// it, and what was mended does not look ill for ever.
const REFUSED_LATELY_MS: i64 = 3_600_000;

impl Status {
    /// What is not well with all of them together.
    pub fn ills(&self) -> Vec<String> {
        let have_steps = |one: &ExtractionStatus| {
            let rollout = one.rollout.as_ref();
            rollout.is_some_and(|rollout| rollout.state != "done")
        };
        // No gate takes back what harms meanwhile, so that one which was forgotten is no rest.
        let halted = self.halted.iter();
        let halted = halted.filter(|_| self.extractions.iter().any(have_steps));
        halted
            .map(|why| {
                format!(
                    "halted: {why}. No step begins, and nothing that harms is taken back, until \
                     `banyan halt --off`"
                )
            })
            .collect()
    }
}

impl ExtractionStatus {
    /// What is not well with it, in words.
    pub fn ills(&self, now_ms: i64) -> Vec<String> {
        let mut ills: Vec<String> = self.trouble.iter().cloned().collect();
        ills.extend(self.sides_ill());
        if self.reads_withdrawn {
            ills.push(
                "all reads go to the owner: the stream to the service is not well".to_owned(),
            );
        }
        let refusals = self.refusals.iter().filter(|one| one.is_lately(now_ms));
        ills.extend(refusals.map(|one| {
            format!(
                "the {}'s fence refuses statements: {}, the last at {}",
                one.side, one.statements, one.last_seen
            )
        }));
        if let Some(rollout) = &self.rollout {
            ills.extend(rollout.ills());
        }
        ills
    }

    /// What waits for a person, or may soon: no ill.
    pub fn notices(&self, now_ms: i64) -> Vec<String> {
        let refusals = self.refusals.iter().filter(|one| !one.is_lately(now_ms));
        let mut notices: Vec<_> = refusals
            .map(|one| {
                format!(
                    "the {}'s fence has refused {} statements, the last at {}",
                    one.side, one.statements, one.last_seen
                )
            })
            .collect();
        if let Some(rollout) = &self.rollout {
            notices.extend(rollout.notices());
        }
        notices
    }

    fn sides_ill(&self) -> Vec<String> {
        let Some(health) = &self.health else {
            return Vec::new();
        };
        let sides = [("monolith", &health.monolith), ("service", &health.service)];
        let ill = sides.map(|(side, health)| {
            let why = health.reason.as_deref();
            match (health.state.as_str(), why) {
                ("unhealthy", _) => {
                    let why = why.unwrap_or("no reason is known");
                    Some(format!("the {side} is unhealthy: {why}"))
                }
                ("not-asked", Some(why)) => Some(format!("the {side}'s health: {why}")),
                _ => None,
            }
        });
        ill.into_iter().flatten().collect()
    }
}

impl RefusalStatus {
    fn is_lately(&self, now_ms: i64) -> bool {
        now_ms - self.last_seen_ms < REFUSED_LATELY_MS
    }
}

impl RolloutStatus {
    fn ills(&self) -> Vec<String> {
        let failed = self.gates.iter();
        let failed = failed.filter(|gate| gate.verdict == "fail" && !gate.dry_run);
        let mut ills: Vec<_> = failed
            .map(|gate| format!("gate `{}` fails: {}", gate.name, gate.text))
            .collect();
        // Whoever changed the plan may think that it goes by that.
        let refused = self.steps_refused.iter();
        ills.extend(refused.map(|why| format!("the plan's other steps do not count: {why}")));
        ills
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.state == "stopped" {
            let why = self.why.as_deref().unwrap_or("no reason is known");
            notices.push(format!("its steps have stopped: {why}"));
        }
        let refused = self.refused.iter();
        notices.extend(refused.map(|why| format!("refused, and asked for again: {why}")));
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{GateStatus, HealthStatus};

    const NOW_MS: i64 = 1_800_000_000_000;

    fn gate(verdict: &str, dry_run: bool) -> GateStatus {
        GateStatus {
            name: "p95".to_owned(),
            verdict: verdict.to_owned(),
            text: "slow".to_owned(),
            dry_run,
            ..GateStatus::default()
        }
    }

    fn well() -> ExtractionStatus {
        ExtractionStatus {
            health: Some(HealthStatus::default()),
            rollout: Some(RolloutStatus {
                state: "running".to_owned(),
                gates: vec![gate("needs-more", false), gate("fail", true)],
                ..RolloutStatus::default()
            }),
            ..ExtractionStatus::default()
        }
    }

    #[test]
    fn each_ill_is_told() {
        let none = Vec::<String>::new();
        assert_eq!(
            (well().ills(NOW_MS), well().notices(NOW_MS)),
            (none.clone(), none)
        );
        let mut ill = well();
        ill.trouble = Some("full".to_owned());
        ill.reads_withdrawn = true;
        if let (Some(health), Some(rollout)) = (&mut ill.health, &mut ill.rollout) {
            health.service.state = "unhealthy".to_owned();
            rollout.gates.push(gate("fail", false));
            rollout.steps_refused = Some("step 1 is behind it".to_owned());
        }
        let ills = ill.ills(NOW_MS);
        assert_eq!(ills.len(), 5, "{ills:?}");
        if let Some(health) = &mut ill.health {
            health.service.state = "not-asked".to_owned();
            assert_eq!(ill.ills(NOW_MS).len(), 4, "the plan has no health for it");
        }
        if let Some(health) = &mut ill.health {
            health.service.reason = Some("it has not answered yet".to_owned());
        }
        assert_eq!(ill.ills(NOW_MS).len(), 5, "{:?}", ill.ills(NOW_MS));
        assert!(ills[1].contains("the service is unhealthy"), "{ills:?}");
        assert!(ills[3].contains("gate `p95` fails: slow"), "{ills:?}");
        assert!(ills[4].contains("step 1 is behind it"), "{ills:?}");
    }

    #[test]
    fn what_waits_for_a_person_is_a_notice() {
        let mut stopped = well();
        if let Some(rollout) = &mut stopped.rollout {
            rollout.state = "stopped".to_owned();
            rollout.why = Some("ada paused it".to_owned());
            rollout.refused = Some("the service is not healthy".to_owned());
        }
        assert!(stopped.ills(NOW_MS).is_empty());
        assert_eq!(
            stopped.notices(NOW_MS),
            [
                "its steps have stopped: ada paused it",
                "refused, and asked for again: the service is not healthy"
            ]
        );
    }

    #[test]
    fn a_statement_that_a_fence_refused_is_an_ill_for_an_hour() {
        let mut one = well();
        one.refusals = vec![RefusalStatus {
            side: "monolith".to_owned(),
            statements: 39,
            last_seen_ms: NOW_MS - 1,
            ..RefusalStatus::default()
        }];
        let counts = |now_ms| (one.ills(now_ms).len(), one.notices(now_ms).len());
        assert_eq!(counts(NOW_MS), (1, 0));
        assert_eq!(counts(NOW_MS + REFUSED_LATELY_MS), (0, 1));
        assert!(one.ills(NOW_MS)[0].contains("the monolith's fence refuses statements: 39"));
    }

    #[test]
    fn a_halt_is_an_ill_where_steps_are_to_come() {
        let with = |rollout: Option<&str>| Status {
            extractions: vec![ExtractionStatus {
                rollout: rollout.map(|state| RolloutStatus {
                    state: state.to_owned(),
                    ..RolloutStatus::default()
                }),
                ..ExtractionStatus::default()
            }],
            halted: Some("ada: incident 7".to_owned()),
            ..Status::default()
        };
        assert_eq!(with(None).ills().len() + with(Some("done")).ills().len(), 0);
        for state in ["idle", "running", "stopped"] {
            let ills = with(Some(state)).ills();
            assert!(ills[0].starts_with("halted: ada: incident 7."), "{ills:?}");
        }
        let on = Status {
            halted: None,
            ..with(Some("running"))
        };
        assert!(on.ills().is_empty());
    }
}
