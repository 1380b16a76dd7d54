import { discoveryScenarios } from "./discovery-scenarios.js";

discoveryScenarios("GRPC");
