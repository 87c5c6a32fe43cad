-- The roles of the ledger, which `spanmeter db init` gives their rights, and a login in each that is used here.
CREATE ROLE spanmeter_writer;
CREATE ROLE spanmeter_reader;
CREATE ROLE spanmeter_tenant;
CREATE ROLE collector LOGIN PASSWORD :'collector_password' IN ROLE spanmeter_writer;
CREATE ROLE grafana LOGIN PASSWORD :'grafana_password' IN ROLE spanmeter_reader;
