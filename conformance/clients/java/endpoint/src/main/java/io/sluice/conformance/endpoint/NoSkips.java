package io.sluice.conformance.endpoint;

import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.opentest4j.TestAbortedException;

/** Turns a failed assumption into a failure: a test that does not run proves nothing and must not look green. */
public final class NoSkips implements TestExecutionExceptionHandler {
  @Override
  public void handleTestExecutionException(ExtensionContext context, Throwable thrown) throws Throwable {
    if (thrown instanceof TestAbortedException) {
      throw new AssertionError("skipped, which no test here may be: " + thrown.getMessage(), thrown);
    }
    throw thrown;
  }
}
