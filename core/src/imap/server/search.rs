//! SEARCH (RFC 9051 §6.4.4) and UID SEARCH: messages are judged by their rows, and read in runs where that is not enough.
//!
//! ```text
//!   Gather ──some must be read, or a slice is over──► Match ──► Gather … ──no more messages──► answer ──all told──► Finish
//! ```
//!
//! Between two runs the session reads, and nothing is pulled: the view stands still until the reply.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, Matched};
use super::{Doing, Session, Step, Wanted};
use crate::imap::command::{SearchKey, SearchReturn, Tag};
use crate::imap::response::search::{Answer, Found};
use crate::imap::response::{Code, Condition};
use crate::imap::search::{Candidate, Context, Program};
use crate::imap::sequence::Intervals;
use crate::imap::view::{Expunges, Hits, View};
use crate::limits;

/// A SEARCH in progress.
#[derive(Debug)]
pub(super) struct Searching {
    tag: Tag,
    uid: bool,
    returns: Option<SearchReturn>,
    program: Arc<Program>,
    hits: Hits,
    /// The number of the message before, when all are looked at.
    number: Option<u32>,
    /// The run that is being matched: from the first message on that has to be read, each that may fit, and whether it does if
    /// that is known.
    run: Vec<(Candidate, Option<bool>)>,
    found: Results,
    /// The answer that is being told.
    answer: Option<Answer>,
}

/// What has been found, ascending.
#[derive(Debug, Default)]
struct Results {
    count: u32,
    /// First and last: number and UID.
    min: Option<(u32, u32)>,
    max: Option<(u32, u32)>,
    /// In the command's own kind of number.
    all: Intervals,
    /// For `$`.
    uids: Intervals,
}

impl Session {
    pub(super) fn search(&mut self, tag: Tag, uid: bool, returns: Option<SearchReturn>, keys: Option<&[SearchKey]>) {
        let view = self.view.as_ref().expect("only when selected");
        let Some(keys) = keys else {
            return self.search_fails(&tag, returns, Code::BadCharset, "Unknown charset, or a string is not in it");
        };
        let context = Context {
            exists: view.exists(),
            last_uid: view.last_uid(),
            keywords: &view.version().keywords,
            saved: view.saved(),
            now: self.now.unix,
        };
        let Ok(program) = Program::compile(keys, &context) else {
            return self.search_fails(&tag, returns, Code::Limit, "Too many keys that need messages to be read");
        };
        let bounds = program.bounds().cloned();
        self.doing = Doing::Search(Box::new(Searching {
            tag,
            uid,
            // Under IMAP4rev2 there is no `* SEARCH` (RFC 9051 §6.4.4).
            returns: returns.or(self.rev2().then_some(SearchReturn {
                all: true,
                ..SearchReturn::default()
            })),
            number: bounds.is_none().then_some(0),
            hits: Hits::of_uids(bounds.unwrap_or_else(|| Intervals::range(1, view.last_uid()))),
            program: Arc::new(program),
            run: Vec::new(),
            found: Results::default(),
            answer: None,
        }));
    }

    /// NO; what was to be saved is nothing (RFC 5182 §2.1).
    fn search_fails(&mut self, tag: &Tag, returns: Option<SearchReturn>, code: Code<'_>, text: &str) {
        if let Some(view) = self.view.as_mut().filter(|_| returns.is_some_and(|returns| returns.save)) {
            view.save(Intervals::default());
        }
        self.reply(tag, Condition::No, Some(&code), text);
    }

    pub(super) fn step_search(&mut self, mut searching: Box<Searching>) -> Step {
        if let Some(answer) = &mut searching.answer {
            while self.out.len() < limits::SEND_HIGH_WATER {
                if !answer.next(self.out.end()) {
                    self.finish_search(&searching);
                    return Step::Again;
                }
            }
            self.doing = Doing::Search(searching);
            return Step::Again;
        }
        let view = self.view.as_mut().expect("only when selected");
        let over = searching.gather(view);
        let candidates: Vec<Candidate> = searching.unjudged().collect();
        if over && candidates.is_empty() {
            searching.take(&[]);
            self.searched(searching);
            return Step::Again;
        }
        self.ask = Some(Ask::Match {
            mailbox: view.mailbox(),
            program: searching.program.clone(),
            candidates,
            then: self.slots.ask(Wanted::Matched),
        });
        self.doing = Doing::Search(searching);
        Step::Again
    }

    pub(super) fn matched(&mut self, mut searching: Box<Searching>, matched: Matched) {
        assert_eq!(searching.unjudged().count(), matched.0.len(), "a verdict for each message");
        searching.take(&matched.0);
        self.doing = Doing::Search(searching);
    }

    /// All is known.
    fn searched(&mut self, mut searching: Box<Searching>) {
        let found = core::mem::take(&mut searching.found);
        let kind = |(number, uid)| if searching.uid { uid } else { number };
        searching.answer = match searching.returns {
            None => Some(Answer::search(found.all)),
            Some(returns) => {
                let answer = Found {
                    min: found.min.map(kind).filter(|_| returns.min),
                    max: found.max.map(kind).filter(|_| returns.max),
                    count: returns.count.then_some(found.count),
                    all: returns.all.then_some(found.all),
                };
                if returns.save
                    && let Some(view) = &mut self.view
                {
                    view.save(saved(returns, found.min, found.max, found.uids));
                }
                // RETURN (SAVE) alone is answered by the tagged reply only (RFC 5182 §2.2).
                let told = returns.min || returns.max || returns.all || returns.count;
                told.then(|| Answer::esearch(&searching.tag, searching.uid, answer))
            }
        };
        match searching.answer {
            None => self.finish_search(&searching),
            Some(_) => self.doing = Doing::Search(searching),
        }
    }

    /// Messages in numbers: EXPUNGE waits (RFC 9051 §7.5.1).
    fn finish_search(&mut self, searching: &Searching) {
        let expunges = if searching.uid { Expunges::Tell } else { Expunges::Wait };
        self.finish(
            &searching.tag,
            Condition::Ok,
            None,
            "SEARCH completed",
            expunges,
            searching.uid,
        );
    }
}

/// What `$` becomes: with MIN and MAX alone, just these (RFC 5182 §2.4).
fn saved(returns: SearchReturn, min: Option<(u32, u32)>, max: Option<(u32, u32)>, uids: Intervals) -> Intervals {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return uids;
    }
    let min = min.filter(|_| returns.min);
    let max = max.filter(|_| returns.max);
    Intervals::from_sorted(min.into_iter().chain(max).map(|(_, uid)| uid))
}

impl Searching {
    /// Judges messages by their rows: until there are no more (`true`), a run is full, or the slice is over.
    fn gather(&mut self, view: &View) -> bool {
        let (mut octets, mut unjudged, mut cost) = (0, 0, 0);
        let mut stack = Vec::new();
        let only_first = self
            .returns
            .is_some_and(|returns| returns.min && !(returns.max || returns.all || returns.count));
        if only_first && self.found.count > 0 {
            return true;
        }
        while unjudged < limits::RUN_PARTS && cost < limits::SEARCH_SLICE && self.run.len() < limits::SEARCH_HELD {
            let before = self.hits.clone();
            let Some(row) = self.hits.next(view) else { return true };
            let number = self.number.map_or_else(|| view.number(row.uid), |before| before + 1);
            let candidate = Candidate {
                row,
                number,
                recent: view.is_recent(row.uid),
            };
            cost += self.program.cost();
            let verdict = self.program.judge(&candidate, &mut stack);
            if verdict.is_none() {
                octets += u64::from(row.size);
                if octets > limits::SEARCH_RUN && unjudged > 0 {
                    self.hits = before;
                    return false;
                }
                unjudged += 1;
            }
            self.number = self.number.map(|_| number);
            match verdict {
                Some(true) if self.run.is_empty() => self.add(&candidate),
                Some(true) | None => self.run.push((candidate, verdict)), // in their order
                Some(false) => {}
            }
            if only_first && verdict == Some(true) {
                // What is still to be read comes before it.
                self.hits = Hits::of_uids(Intervals::default());
                return true;
            }
        }
        false
    }

    /// Those of the run that have to be read.
    fn unjudged(&self) -> impl Iterator<Item = Candidate> + '_ {
        self.run
            .iter()
            .filter(|(_, verdict)| verdict.is_none())
            .map(|(candidate, _)| *candidate)
    }

    /// Takes the run into the results, with the verdicts on those that were read.
    fn take(&mut self, read: &[bool]) {
        let mut read = read.iter();
        for (candidate, verdict) in core::mem::take(&mut self.run) {
            let fits = verdict.unwrap_or_else(|| *read.next().expect("a verdict for each message"));
            if fits {
                self.add(&candidate);
            }
        }
    }

    fn add(&mut self, candidate: &Candidate) {
        let (number, uid) = (candidate.number, candidate.row.uid.0);
        let found = &mut self.found;
        found.count += 1;
        found.min = found.min.or(Some((number, uid)));
        found.max = Some((number, uid));
        found.all.push(if self.uid { uid } else { number });
        if self.returns.is_some_and(|returns| returns.save) {
            found.uids.push(uid);
        }
    }
}
