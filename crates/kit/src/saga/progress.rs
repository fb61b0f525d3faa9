//! What comes next. Pure.

/// Which way a saga goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Steps are performed, the first first.
    Forward,
    /// Steps are undone, the last first.
    Backward,
}

/// Where a saga is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// This step is to be performed.
    Forward {
        /// Its number, from 0.
        step: u32,
    },
    /// This step is to be undone.
    Backward {
        /// Its number, from 0.
        step: u32,
    },
    /// All steps were performed.
    Completed,
    /// All that may have been performed was undone.
    Compensated,
    /// This step could not be undone: a person must look.
    Stuck {
        /// Its number, from 0.
        step: u32,
    },
}

/// What became of a try of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// Done.
    Done,
    /// Not done, and perhaps done in part.
    Failed,
    /// Not done, without any effect, and no use to try again.
    Refused,
}

/// What to do after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// The same once more, later.
    Again,
    /// On to another stage.
    To(Stage),
}

/// Which try of its step it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// None came before it.
    pub is_first: bool,
    /// None comes after it.
    pub is_last: bool,
}

/// After a try of the step of `stage`, of a saga of `steps` steps.
///
/// A step that has failed to the end may have had its effect, its answer lost:
/// it is undone too. One that was refused is not, unless an earlier try of it
/// has failed.
pub fn advance(stage: Stage, outcome: StepOutcome, which: Try, steps: u32) -> Advance {
    match (stage, outcome) {
        (Stage::Forward { step }, StepOutcome::Done) => Advance::To(forward(step + 1, steps)),
        (Stage::Forward { step }, StepOutcome::Refused) if which.is_first => {
            Advance::To(before(step))
        }
        (Stage::Forward { step }, StepOutcome::Refused) => Advance::To(Stage::Backward { step }),
        (Stage::Forward { step }, StepOutcome::Failed) if which.is_last => {
            Advance::To(Stage::Backward { step })
        }
        (Stage::Backward { step }, StepOutcome::Done) => Advance::To(before(step)),
        (Stage::Backward { step }, _) if which.is_last => Advance::To(Stage::Stuck { step }),
        (Stage::Forward { .. } | Stage::Backward { .. }, _) => Advance::Again,
        // Nothing was tried here.
        (ended, _) => Advance::To(ended),
    }
}

fn forward(step: u32, steps: u32) -> Stage {
    if step < steps {
        Stage::Forward { step }
    } else {
        Stage::Completed
    }
}

fn before(step: u32) -> Stage {
    match step.checked_sub(1) {
        Some(step) => Stage::Backward { step },
        None => Stage::Compensated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome() -> impl Strategy<Value = StepOutcome> {
        prop_oneof![
            4 => Just(StepOutcome::Done),
            2 => Just(StepOutcome::Failed),
            1 => Just(StepOutcome::Refused),
        ]
    }

    proptest! {
        /// Whatever steps answer, a saga ends within its tries, and then either
        /// everything was performed, or all that may have had an effect was
        /// undone, the last first, or it says which step was not.
        #[test]
        fn it_ends_whole_or_undone_or_stuck(
            steps in 1u32..6,
            tries in 1u32..4,
            outcomes in prop::collection::vec(outcome(), 60),
        ) {
            let (mut stage, mut attempt) = (Stage::Forward { step: 0 }, 1);
            let (mut effects, mut undone) = (Vec::new(), Vec::new());
            let mut outcomes = outcomes.into_iter();
            while let Stage::Forward { step } | Stage::Backward { step } = stage {
                prop_assert!(step < steps);
                let outcome = outcomes.next().expect("ends within steps x tries x 2");
                match (stage, outcome) {
                    // Failed is the worst case: it had its effect.
                    (Stage::Forward { .. }, StepOutcome::Done | StepOutcome::Failed)
                        if effects.last() != Some(&step) =>
                    {
                        effects.push(step);
                    }
                    (Stage::Backward { .. }, StepOutcome::Done) => undone.push(step),
                    _ => {}
                }
                let which = Try {
                    is_first: attempt == 1,
                    is_last: attempt == tries,
                };
                match advance(stage, outcome, which, steps) {
                    Advance::Again => attempt += 1,
                    Advance::To(next) => (stage, attempt) = (next, 1),
                }
                prop_assert!(attempt <= tries);
            }
            effects.reverse();
            match stage {
                Stage::Completed => prop_assert_eq!((effects.len(), undone.len()), (steps as usize, 0)),
                Stage::Compensated => prop_assert_eq!(effects, undone),
                Stage::Stuck { step } => {
                    prop_assert_eq!(&effects[..undone.len()], undone.as_slice());
                    prop_assert_eq!(effects[undone.len()], step);
                }
                Stage::Forward { .. } | Stage::Backward { .. } => unreachable!(),
            }
        }
    }
}
