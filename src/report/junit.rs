//! Checks as a JUnit file, which every CI reads.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::verdicts::{Case, cases};
use crate::compare::{Results, Verdict};

/// One file of several runs, such as those of several engines: a suite for the checks of each, for
/// its baseline, and for its validity. What could not be told is skipped. `runs` are names with their
/// results.
///
/// # Errors
/// When a name cannot be written as XML.
pub fn render(runs: &[(String, &Results)]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("lab");
    for (name, results) in runs {
        let all = cases(results);
        for of_suite in all.chunk_by(|a, b| a.suite == b.suite) {
            let mut suite = TestSuite::new(format!("{name} {}", of_suite[0].suite));
            of_suite.iter().for_each(|case| {
                suite.add_test_case(test_case(name, case));
            });
            report.add_test_suite(suite);
        }
    }
    report.to_string()
}

fn test_case(run: &str, case: &Case) -> TestCase {
    let mut status = match case.verdict {
        Verdict::Held => TestCaseStatus::success(),
        Verdict::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Undecided => TestCaseStatus::skipped(),
    };
    if case.verdict != Verdict::Held {
        status.set_message(case.measured.clone());
    }
    let mut test = TestCase::new(case.name.clone(), status);
    test.set_classname(format!("{run}.{}", case.suite));
    test.set_system_out(case.measured.clone());
    test
}
