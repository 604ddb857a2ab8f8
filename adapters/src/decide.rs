//! The one loop of decisions: call, fetch everything that is missing side by side, call again.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_lite::future;
use pillarbox_core::decision::{Decision, Fact, FactAnswer, Facts, Failure, Question};
use pillarbox_core::limits;

use crate::env::Env;

/// Who answers questions.
pub trait FactSource: Sync {
    /// The answer to one question; a failure is an answer too.
    fn fact(&self, question: &Question) -> impl Future<Output = Fact> + Send;
}

/// Decides. When the rounds, the facts or the time run out, every question that is still open is answered with a temporary
/// failure, so that the decision itself says what that means.
pub async fn decide<E: Env, T>(env: &E, source: &impl FactSource, decision: impl Fn(&Facts) -> Decision<T>) -> Option<T> {
    decide_with_facts(env, source, decision).await.0
}

/// Decides as [`decide`], and gives all that was found out for it.
pub async fn decide_with_facts<E: Env, T>(
    env: &E,
    source: &impl FactSource,
    decision: impl Fn(&Facts) -> Decision<T>,
) -> (Option<T>, Facts) {
    let until = env.now().instant.after(limits::DECISION_TIME);
    let mut facts = Facts::new();
    for round in 0..limits::DECISION_ROUNDS {
        let questions = match decision(&facts) {
            Decision::Known(verdict) => return (Some(verdict), facts),
            Decision::Needs(questions) => questions,
        };
        let room = facts.len() + questions.len() <= limits::DECISION_FACTS && round + 1 < limits::DECISION_ROUNDS;
        let answers = match room {
            true => {
                future::or(async { Some(side_by_side(source, &questions).await) }, async {
                    env.sleep_until(until).await;
                    None
                })
                .await
            }
            false => None,
        };
        match answers {
            Some(answers) => questions
                .into_iter()
                .zip(answers)
                .for_each(|(question, fact)| facts.learn(question, fact)),
            None => questions
                .into_iter()
                .for_each(|question| facts.learn(question, out_of_time())),
        }
    }
    match decision(&facts) {
        Decision::Known(verdict) => (Some(verdict), facts),
        Decision::Needs(_) => (None, facts),
    }
}

fn out_of_time() -> Fact {
    Fact::local(FactAnswer::Failed(Failure::Temporary))
}

/// All answers, in the order of the questions; the look-ups run at once.
async fn side_by_side(source: &impl FactSource, questions: &[Question]) -> Vec<Fact> {
    if let [question] = questions {
        return vec![source.fact(question).await];
    }
    let mut open: Vec<_> = questions
        .iter()
        .map(|question| (Some(Box::pin(source.fact(question))), None))
        .collect();
    let all = future::poll_fn(move |cx| {
        let mut waiting = false;
        for (look_up, answer) in &mut open {
            let Some(running) = look_up else { continue };
            match Pin::new(running).poll(cx) {
                Poll::Ready(fact) => {
                    *answer = Some(fact);
                    *look_up = None;
                }
                Poll::Pending => waiting = true,
            }
        }
        if waiting {
            return Poll::Pending;
        }
        Poll::Ready(
            open.iter_mut()
                .map(|(_, answer)| answer.take().unwrap_or_else(out_of_time))
                .collect(),
        )
    });
    pin!(all).await
}
