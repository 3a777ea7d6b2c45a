# Official clients against the embedded endpoint. A suite is a target conformance-NAME: it obeys CUT (full or smoke), prints a last line
# "NAME: N passed, N failed, N skipped", and fails itself when anything failed. README.md beside this file says what each suite does.

SUITES := pyodps java go-sdk matrix
CUT    ?= full
PYTHON ?= python3.11
VENV   := out/venv
CLIENTS := conformance/clients

.PHONY: conformance
conformance: bin/sluice ## official clients against the embedded endpoint (Python 3.11, JDK 17, Maven); SUITES=pyodps picks
	$(CLIENTS)/run full $(SUITES)

.PHONY: conformance-smoke
conformance-smoke: bin/sluice ## a small cut of it, below 4 minutes
	$(CLIENTS)/run smoke $(SUITES)

.PHONY: conformance-pyodps
conformance-pyodps: bin/sluice $(VENV)/.ready ## PyODPS by pytest; CUT=smoke for the small cut, ARGS=…
	cd $(CLIENTS)/python && $(CURDIR)/$(VENV)/bin/python -m pytest -q -p no:cacheprovider $(if $(filter smoke,$(CUT)),-m smoke) $(ARGS)

.PHONY: conformance-java
conformance-java: bin/sluice ## the Java SDK, the Storage API's client and JDBC by JUnit; CUT and ARGS as above
	$(CLIENTS)/java/run $(CUT) $(ARGS)

# The Java SDK's adapter of the matrix. Maven sees itself what must be built again.
.PHONY: java-adapter
java-adapter:
	mvn -q -f $(CLIENTS)/java -pl sdk -am process-classes

.PHONY: conformance-matrix
conformance-matrix: bin/sluice java-adapter bin/sluiced out/conformance/matrixgosdk out/conformance/matrixsluice $(VENV)/.ready ## every writer × every reader × every type; CUT and ARGS
	$(VENV)/bin/python $(CLIENTS)/matrix/run.py --cut $(CUT) $(ARGS)

# The stamp is newer than the requirements when the environment is complete.
$(VENV)/.ready: $(CLIENTS)/python/requirements.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r $<
	touch $@

# The Go SDK's own tests; ARGS='-run odps/tunnel' picks. The small cut leaves out those that sleep.
.PHONY: conformance-go-sdk
conformance-go-sdk: bin/sluice ## the Go SDK's own tests; CUT and ARGS
	go run ./$(CLIENTS)/go/cmd/sdktests $(if $(filter smoke,$(CUT)),-smoke) $(ARGS)

# The matrix's adapters in Go. Go decides what must be built again.
.PHONY: out/conformance/matrixgosdk out/conformance/matrixsluice
out/conformance/matrixgosdk out/conformance/matrixsluice:
	go build -o $@ ./$(CLIENTS)/go/cmd/$(@F)
