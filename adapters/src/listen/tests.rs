//! The gate's counts, whom it sheds, and when it opens again.

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn gate(connections: usize, per_network: usize) -> Gate {
    Gate::new(Bounds {
        connections,
        per_network,
    })
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn shed(permit: &Permit) -> bool {
    permit.poll_shed(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn s46_a_network_has_a_share() {
    let gate = gate(100, 2);
    let first = gate.enter(ip("192.0.2.1")).unwrap();
    let _second = gate.enter(ip("::ffff:192.0.2.1")).unwrap();
    assert_eq!(gate.enter(ip("192.0.2.1")).unwrap_err(), TooMany);
    let _other = gate.enter(ip("192.0.2.2")).unwrap();
    drop(first);
    let _again = gate.enter(ip("192.0.2.1")).unwrap();
    // One subscriber of IPv6 has a /64.
    let _six = [
        gate.enter(ip("2001:db8::1")).unwrap(),
        gate.enter(ip("2001:db8::ffff")).unwrap(),
    ];
    assert_eq!(gate.enter(ip("2001:db8::2")).unwrap_err(), TooMany);
    let _neighbour = gate.enter(ip("2001:db8:0:1::1")).unwrap();
    let _local: Vec<_> = (0..10).map(|_| gate.enter(ip("127.0.0.1")).unwrap()).collect();
    assert_eq!(gate.inside(), 16);
}

#[test]
fn behind_a_proxy_the_real_peer_counts() {
    let gate = gate(100, 1);
    let mut first = gate.enter(None).unwrap();
    let mut second = gate.enter(None).unwrap();
    first.move_to("192.0.2.1".parse().unwrap()).unwrap();
    assert_eq!(second.move_to("192.0.2.1".parse().unwrap()), Err(TooMany));
    drop(first);
    second.move_to("192.0.2.1".parse().unwrap()).unwrap();
    drop(second);
    assert!(gate.state().networks.is_empty());
}

#[test]
fn a_full_gate_sheds_the_newest_strangers_and_opens_again_at_the_low_mark() {
    let gate = gate(100, 1000);
    let mut inside: Vec<Permit> = (0..89).map(|_| gate.enter(None).unwrap()).collect();
    inside[88].logged_in();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(gate.poll_open(&mut cx).is_ready());
    assert!(inside[87].poll_shed(&mut cx).is_pending());
    inside.push(gate.enter(None).unwrap());
    assert!(gate.poll_open(&mut cx).is_pending());
    assert_eq!(
        woken.0.load(Ordering::Relaxed),
        1,
        "the session is woken to hear that it must go"
    );
    let gone: Vec<usize> = (0..90).filter(|index| shed(&inside[*index])).collect();
    assert_eq!(gone, [79, 80, 81, 82, 83, 84, 85, 86, 87, 89]);
    inside.truncate(81);
    assert!(gate.poll_open(&mut cx).is_pending());
    inside.truncate(80);
    assert_eq!(woken.0.load(Ordering::Relaxed), 2, "the listener is woken");
    assert!(gate.poll_open(&mut cx).is_ready());
}

#[test]
fn any_bound_leaves_room_between_full_and_open() {
    for connections in 0..1000 {
        let bounds = Bounds {
            connections,
            per_network: 1,
        };
        assert!(bounds.low() < bounds.high(), "{connections}");
        assert!(bounds.high() <= connections.max(1), "{connections}");
    }
    assert_eq!(Bounds::with_open_files(10).connections, 1);
    assert_eq!(Bounds::with_open_files(u64::MAX).connections, limits::CONNECTIONS);
    assert!(Bounds::with_open_files(20_000).high() > 10_000);
}
