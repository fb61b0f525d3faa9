//! People at work.

use super::client::Client;
use super::person::Person;
use super::record::{VisitCounts, VisitRecord};
use super::settings::Settings;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;

/// People at work. Dropping it ends them at once.
#[derive(Debug)]
pub struct Crowd {
    record: Arc<VisitRecord>,
    clients: JoinSet<Vec<Person>>,
}

impl Crowd {
    /// Sends people to a gateway, the last ones first.
    pub fn start(gateway: &str, people: &[Person], settings: &Settings) -> Result<Self> {
        let record = Arc::new(VisitRecord::default());
        let habits = settings.habits.iter();
        let habits = habits.flat_map(|(habit, count)| std::iter::repeat_n(*habit, *count));
        let mut clients = JoinSet::new();
        for (number, one) in (0..).zip(habits.zip(people.iter().rev().cloned())) {
            let client = Client::new(settings, gateway, number, one, Arc::clone(&record))?;
            clients.spawn(client.run());
        }
        Ok(Self { record, clients })
    }

    /// What they have seen so far.
    pub fn counts(&self) -> VisitCounts {
        self.record.counts()
    }

    /// From now on Banyan may be gone, or not any more: answers may be missing.
    pub fn expect_a_crash(&self, is_expected: bool) {
        self.record.is_crashing.store(is_expected, Ordering::SeqCst);
    }

    /// Lets all of them finish what they are doing; what they saw, and everybody with
    /// their last password.
    pub async fn finish(mut self) -> Result<(VisitCounts, Vec<Person>)> {
        self.record.is_over.store(true, Ordering::SeqCst);
        let mut people = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            people.extend(client?);
        }
        Ok((self.record.counts(), people))
    }
}
