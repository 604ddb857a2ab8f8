//! Real messages, read twice: by ours, and by `mail-parser`. Written ones are a fuzz target (`message_second`), where both must agree.
#![cfg(feature = "server")]

use std::path::{Path, PathBuf};

use pillarbox_fuzz::second_message::{Said, ours, theirs};
use pillarbox_tests::data;

/// Messages that must be read alike, of 100. Where the two differ, one of them guesses: broken fields and boundaries.
const EQUAL_PERCENT: usize = 94;

#[test]
fn real_messages_are_read_alike() {
    let files: Vec<PathBuf> = data::files("").into_iter().filter(|file| is_message(file)).collect();
    if files.is_empty() {
        return data::is_missing();
    }
    let (mut counted, mut equal) = (0, 0);
    for file in files {
        let message = data::wire_form(&std::fs::read(&file).expect("a message"));
        let (ours, theirs) = (ours(&message), theirs(&message));
        counted += 1;
        match difference(&ours, &theirs) {
            None => equal += 1,
            Some(difference) => println!("{}\n    {difference}", file.display()),
        }
    }
    println!("{equal} of {counted} read alike");
    assert!(equal * 100 >= counted * EQUAL_PERCENT, "{equal} of {counted}");
}

fn difference(ours: &[Said], theirs: &[Said]) -> Option<String> {
    if ours.len() != theirs.len() {
        let kinds = |said: &[Said]| {
            said.iter()
                .map(|said| format!("{}{}", " ".repeat(said.depth), said.kind))
                .collect::<Vec<_>>()
        };
        return Some(format!("{:?} but {:?}", kinds(ours), kinds(theirs)));
    }
    let (ours, theirs) = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs)?;
    let fields = |said: &Said| {
        [
            said.kind.clone(),
            format!("{:?}", said.subject),
            format!("{:?}", said.date),
            format!("{:?}", said.addresses),
            format!("{:?}", said.content),
        ]
    };
    let (ours, theirs) = (fields(ours), fields(theirs));
    let (ours, theirs) = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs)?;
    // From a little before the first difference on.
    let same = ours
        .chars()
        .zip(theirs.chars())
        .take_while(|(one, other)| one == other)
        .count();
    let short = |text: &str| text.chars().skip(same.saturating_sub(30)).take(160).collect::<String>();
    Some(format!("{}\n    {}", short(ours), short(theirs)))
}

fn is_message(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "eml")
}
