//! A machine on tape: what was recorded replays byte for byte.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use pillarbox_core::machine::{Close, Input, Output};
use pillarbox_core::time::Now;
use pillarbox_core::trace::recorder::{Spool, Told};
use pillarbox_core::trace::{Recordable, Recorder, Tape, replay};

/// A machine, with its recording if one is wanted.
pub struct Recorded<M: Recordable> {
    machine: M,
    recorder: Option<Recorder<M>>,
    file: File,
}

#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Spool for File {
    fn write(&mut self, bytes: Vec<u8>) -> bool {
        self.0.lock().expect("one thread").extend(bytes);
        true
    }

    fn end(&mut self, _: Told) {}
}

impl<M: Recordable> Recorded<M> {
    pub fn begin(new: M::New, now: Now, wanted: bool) -> Recorded<M> {
        let file = File::default();
        if !wanted {
            return Recorded {
                machine: M::begin(new),
                recorder: None,
                file,
            };
        }
        let (machine, recorder) = Recorder::begin("fuzz", now, new, Box::new(file.clone()));
        Recorded {
            machine,
            recorder: Some(recorder),
            file,
        }
    }

    pub fn handle(&mut self, now: Now, input: Input<'_, M::Value, M::Notice>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(&mut self.machine, now, &input);
        }
        self.machine.handle(now, input);
    }

    pub fn poll(&mut self) -> Output<'_, M::Ask> {
        let output = self.machine.poll();
        if let Some(recorder) = &mut self.recorder {
            recorder.output(&output);
        }
        output
    }

    /// The machine has closed: its recording, if there is one, replays.
    pub fn close(&mut self, close: &Close) {
        let Some(mut recorder) = self.recorder.take() else { return };
        recorder.close(&mut self.machine, close);
        drop(recorder);
        let file = self.file.0.lock().expect("one thread");
        let replayed = replay::<M>(&file, &Cell::new(0)).expect("a recording");
        assert_eq!(replayed.difference, None, "{}", file.escape_ascii());
        assert!(replayed.ending.is_some(), "it is cut, or closed as the machine has");
    }
}

impl<M: Recordable> Deref for Recorded<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.machine
    }
}
