//! The last hand-over and the last rehearsal of one, for the status: neither takes the
//! other's place.

use super::timeline::Timeline;
use crate::status::{self, HandoverStatus, kind};
use protocol::{lifecycle::Event, owner::Outcome};

/// The last of both kinds in this life.
#[derive(Debug, Default)]
pub(crate) struct LastHandovers {
    /// That was meant.
    pub(crate) handover: Option<HandoverStatus>,
    pub(crate) rehearsal: Option<HandoverStatus>,
}

impl LastHandovers {
    /// Their reports, or what the events say of them where the process ended before there
    /// was one.
    pub(super) fn of(history: &[Event], reports: Self) -> Self {
        let (mut begun, mut last) = (None, Self::default());
        for event in history {
            match event {
                Event::HandoverBegan { epoch, from, .. } => begun = Some((*epoch, *from, false)),
                Event::RehearsalBegan { epoch, from, .. } => begun = Some((*epoch, *from, true)),
                Event::HandoverEnded { outcome, reason } => {
                    if let Some((epoch, from, rehearsal)) = begun {
                        let word = status::outcome(*outcome, rehearsal, reason.as_deref());
                        last.put(HandoverStatus {
                            kind: kind(from).to_owned(),
                            rehearsal,
                            outcome: word.to_owned(),
                            reason: reason.clone(),
                            epoch: epoch.0,
                            ..HandoverStatus::default()
                        });
                    }
                }
                Event::Cancelled => last = Self::default(),
                _ => {}
            }
        }
        // An earlier version kept both in one place.
        for report in [reports.handover, reports.rehearsal].into_iter().flatten() {
            let kept = [&last.handover, &last.rehearsal].into_iter().flatten();
            if kept.into_iter().any(|one| one.epoch == report.epoch) {
                last.put(report);
            }
        }
        last
    }

    fn put(&mut self, one: HandoverStatus) {
        if one.rehearsal {
            self.rehearsal = Some(one);
        } else {
            self.handover = Some(one);
        }
    }

    /// One has ended.
    pub(super) fn end(&mut self, timeline: Timeline, outcome: Outcome, reason: Option<String>) {
        self.put(timeline.end(outcome, reason));
    }

    /// The one that ended last: each has an epoch of its own.
    pub(super) fn newest_mut(&mut self) -> Option<&mut HandoverStatus> {
        let both = [self.handover.as_mut(), self.rehearsal.as_mut()];
        both.into_iter().flatten().max_by_key(|one| one.epoch)
    }

    /// What is shown: the one that is under way or ended last, and where that is a rehearsal
    /// the last hand-over before it.
    pub(super) fn shown(
        &self,
        under_way: Option<HandoverStatus>,
    ) -> (Option<HandoverStatus>, Option<HandoverStatus>) {
        let both = [&self.handover, &self.rehearsal];
        let newest = both.into_iter().flatten().max_by_key(|one| one.epoch);
        let shown = under_way.or_else(|| newest.cloned());
        let is_rehearsal = shown.as_ref().is_some_and(|one| one.rehearsal);
        let before = self.handover.clone().filter(|_| is_rehearsal);
        (shown, before)
    }
}
