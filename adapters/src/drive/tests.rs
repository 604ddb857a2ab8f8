//! The rules of the contract, each against a toy machine over a virtual clock and pipes in memory.

mod toy;
mod world;

use std::time::Duration;

use pillarbox_core::machine::Reason;
use toy::{Toy, ToyHost};
use world::{Session, World};

fn session(capacity: usize) -> Session {
    Session::start(World::new(), capacity, Toy::default(), ToyHost::default())
}

#[test]
fn its_future_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let world = World::new();
    let (stream, _peer) = world::pipe(10);
    is_send(&super::drive(&world, stream, Toy::default(), ToyHost::default(), None, None));
}

#[test]
fn bytes_come_in_and_go_out() {
    let mut session = session(100);
    session.run();
    session.peer.send(b"ee");
    session.run();
    assert_eq!(session.peer.take(), b"ee");
    session.peer.send(b"q");
    session.peer.finish();
    session.run();
    assert_eq!(session.peer.take(), b"bye");
    assert_eq!(session.closed(), Some(Reason::Quit));
}

#[test]
fn the_end_of_input_is_told_once() {
    let mut session = session(100);
    session.peer.finish();
    session.run();
    assert_eq!(session.closed(), Some(Reason::PeerGone));
    assert_eq!(session.log(), ["Eof"]);
}

#[test]
fn a_peer_that_stops_reading_meets_its_deadline() {
    let mut session = session(2);
    session.peer.send(b"e");
    session.run();
    session.peer.send(b"ee");
    session.run();
    session.peer.send(b"ee");
    session.run();
    assert_eq!(session.closed(), None);
    session.pass(Duration::from_secs(10));
    assert_eq!(session.log().last().map(String::as_str), Some("Tick"));
    // The goodbye of a peer that does not read ends too.
    session.pass(Duration::from_secs(2));
    assert_eq!(session.closed(), Some(Reason::Timeout("idle")));
}

#[test]
fn a_timer_armed_too_early_is_armed_again_and_never_ticks_before_its_time() {
    let mut session = session(100);
    session.run();
    session.pass(Duration::from_secs(6));
    session.peer.send(b"e");
    session.run();
    session.pass(Duration::from_secs(6));
    assert_eq!(session.log(), ["Received(1)", "Sent(1)"]);
    assert_eq!(session.world.timers_made(), 2);
    session.pass(Duration::from_secs(4));
    assert_eq!(session.log(), ["Received(1)", "Sent(1)", "Tick"]);
}

#[test]
fn answers_come_in_any_order_while_bytes_flow() {
    let mut session = session(100);
    session.peer.send(b"aae");
    session.run();
    assert_eq!(session.peer.take(), b"e");
    session.host.answer(2);
    session.run();
    assert_eq!(session.peer.take(), b"2");
    session.host.answer(1);
    session.run();
    assert_eq!(session.peer.take(), b"1");
}

#[test]
fn an_answer_at_hand_is_fed_at_rest() {
    let mut session = session(100);
    session.peer.send(b"ii");
    session.run();
    // Both answers are in before anything is written.
    assert_eq!(session.log(), ["Received(2)", "Answer", "Answer", "Sent(2)"]);
    assert_eq!(session.peer.take(), b"12");
}

#[test]
fn open_queries_are_dropped_at_close() {
    let mut session = session(100);
    session.peer.send(b"aaq");
    session.peer.finish();
    session.run();
    assert_eq!(session.closed(), Some(Reason::Quit));
    assert_eq!(session.host.open_queries(), 0);
}

#[test]
fn bodies_go_to_the_sink_in_order_and_chunks_come_only_when_wanted() {
    let mut session = session(100);
    session.peer.send(b"be");
    session.run();
    assert_eq!(session.host.sunk(), b"<body>");
    session.host.offer_chunk(b"chunk");
    session.run();
    assert_eq!(session.peer.take(), b"e");
    session.peer.send(b"o");
    session.run();
    assert_eq!(session.peer.take(), b"chunk");
}

#[test]
fn nothing_is_read_while_reading_is_not_wanted() {
    let mut session = session(100);
    session.peer.send(b"p");
    session.run();
    session.peer.send(b"e");
    session.run();
    assert_eq!(session.log(), ["Received(1)"]);
    session.host.answer(1);
    session.run();
    assert_eq!(session.peer.take(), b"1e");
}

#[test]
fn a_notice_arrives_while_the_peer_is_silent() {
    let mut session = session(100);
    session.run();
    session.host.notify(3);
    session.run();
    assert_eq!(session.peer.take(), b"NNN");
}

#[test]
fn start_tls_encrypts_the_stream_and_answers() {
    let mut session = session(100);
    session.peer.send(b"t");
    session.run();
    session.peer.send(&world::encrypted(b"e"));
    session.run();
    assert_eq!(session.peer.take(), world::encrypted(b"Se"));
}

#[test]
fn a_handshake_that_fails_or_lasts_is_told() {
    for refused in [true, false] {
        let mut session = session(100);
        if refused {
            session.world.refuse_tls();
        } else {
            session.world.hang_tls();
        }
        session.peer.send(b"t");
        session.run();
        session.pass(Duration::from_secs(30));
        session.run();
        assert_eq!(session.closed(), Some(Reason::TlsFailed), "refused: {refused}");
    }
}

#[test]
fn a_broken_connection_lets_the_machine_come_to_its_end() {
    let mut session = session(100);
    session.run();
    session.peer.send(b"p");
    session.run();
    session.peer.break_off();
    session.host.answer(1);
    session.run();
    assert_eq!(session.log(), ["Received(1)", "Answer", "Sent(1)", "Eof"]);
    assert_eq!(session.closed(), Some(Reason::PeerGone));
}

#[test]
fn what_comes_after_close_is_thrown_away_until_the_linger_ends() {
    let mut session = session(100);
    session.peer.send(b"q");
    session.run();
    assert!(session.peer.sees_eof(), "the writing side is shut down at once");
    session.peer.send(b"more");
    session.run();
    assert_eq!(session.peer.unread(), 0);
    assert_eq!(session.closed(), None);
    session.pass(Duration::from_secs(2));
    assert_eq!(session.closed(), Some(Reason::Quit));
}

#[test]
fn a_session_that_never_waits_lets_others_run() {
    let mut session = session(100);
    session.run();
    session.host.notify(1000);
    let polls = session.run();
    assert!(polls > 10, "polled {polls} times");
    assert_eq!(session.log().iter().filter(|line| *line == "Notice").count(), 1000);
}

#[test]
#[should_panic(expected = "the next deadline (stuck) is later")]
fn a_machine_that_spins_is_caught() {
    let mut session = Session::start(World::new(), 100, Toy::spinning(), ToyHost::default());
    session.run();
    session.pass(Duration::from_secs(10));
}
