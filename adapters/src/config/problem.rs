//! What is wrong with a configuration, shown with the line that it stands in.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the server starts all the same.
    pub severity: Severity,
    /// The setting, by its full name: `listener.address`.
    pub setting: String,
    /// What is wrong.
    pub what: String,
    /// Where, in bytes of the file; `None`: something is missing.
    pub at: Option<Range<usize>>,
    /// What to do.
    pub hint: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is not taken.
    Error,
    /// It is taken.
    Warning,
}

/// All problems for people: file, line, setting and hint of each, and how many there are.
pub fn render(path: &str, text: &str, problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        out.push_str(&render_one(path, text, problem));
        out.push_str("\n\n");
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    out.push_str(&format!(
        "{path}: {}, {}\n",
        counted(errors, "error"),
        counted(problems.len() - errors, "warning")
    ));
    out
}

fn render_one(path: &str, text: &str, problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = if problem.setting.is_empty() {
        problem.what.clone()
    } else {
        format!("{}: {}", problem.setting, problem.what)
    };
    let title = level.primary_title(title);
    let group = match &problem.at {
        Some(at) => title.element(
            Snippet::source(text)
                .path(path)
                .annotation(AnnotationKind::Primary.span(at.clone())),
        ),
        None => title.element(Origin::path(path)),
    };
    let group = group.element(Level::HELP.message(problem.hint.clone()));
    Renderer::plain().decor_style(DecorStyle::Ascii).render(&[group])
}
